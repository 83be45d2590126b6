"""The studio: a page in the browser that shows a scene while its author edits it.

A page holds a websocket, and with it a session (:mod:`filmkit.studio.session`). For each edit a
process is started with the code as it is now (:mod:`filmkit.render.edits`); it draws what the edit
has touched, as for ``--watch``, and tells the page (:mod:`filmkit.studio.artist`). Another process
answers which numbers a frame shows (:mod:`filmkit.studio.frames`). When the page is closed, both
end.
"""
