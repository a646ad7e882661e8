"""The model that a command was given: loaded, looked at, fed."""
