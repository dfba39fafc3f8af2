"""Are the promises of the README kept on this project?"""
