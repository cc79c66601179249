"""The stand-in as an ordinary game: a window, a start menu, and play that reads hands and the wall clock.

It serves people, and programs that play as people do: by looking at the window and pressing things. Nothing here knows
of an environment, and no environment may know of anything here.
"""
