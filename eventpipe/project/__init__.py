"""The user's folder: eventpipe.yml, identity.yml, expectations.yml and the files of events/, read, checked, as frozen typed objects."""
