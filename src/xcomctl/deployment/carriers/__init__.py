"""Files that carry the settings: one interface, one file per format."""
