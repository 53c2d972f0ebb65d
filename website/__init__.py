"""The documentation site: what MkDocs does not do by itself. It is no part of the package."""
