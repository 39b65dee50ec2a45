"""Workers on other machines, or in the background of this one: what gives them places, and how it is asked."""
