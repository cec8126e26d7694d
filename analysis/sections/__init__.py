"""The sections of the report page, each made from results alone."""
