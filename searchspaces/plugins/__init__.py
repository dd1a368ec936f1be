"""Finding plug-ins: those of a folder, and objects that users name by import path."""
