"""The segment language: definitions as typed trees, as SQL, and who is a member since when."""
