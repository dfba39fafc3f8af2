"""The user's folder: eventpipe.yml and events/*.yml, read, checked, as frozen typed objects."""
