"""Are the promises of spec 5 kept on this project?"""
