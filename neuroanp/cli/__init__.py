"""The command line: words in, the same calls as `neuroanp.api`, tables and exit codes out."""
