"""The studio: a page in the browser that shows a scene while its author edits it.

A page holds a websocket, and with it a session (:mod:`filmkit.studio.session`). For each edit the
session starts a process with the code as it is now (:mod:`filmkit.studio.artist`), which draws what
the edit has touched and tells the page; another process answers which numbers a frame shows
(:mod:`filmkit.studio.frames`). When the page is closed, both end.
"""
