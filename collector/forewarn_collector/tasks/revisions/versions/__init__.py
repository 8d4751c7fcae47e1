"""One module for each revision; a revision's name is the version of the schema that it makes."""
