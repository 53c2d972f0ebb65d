"""Reports: one self-contained HTML file, and the tables that a terminal prints as well."""
