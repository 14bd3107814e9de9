"""The first lessons in a browser alone: ``rmapwalk lite OUT``.

JupyterLab, a Python that runs in the browser (Pyodide), our packages and four lessons, as files for any web server.
Nothing is fetched from outside when it runs.  To build it, the registries PyPI and npm are asked once for what a cache
then keeps.

parts.py     what it is made of, from which registry; our own packages as a wheel
locking.py   the list by which Pyodide finds a package's file
building.py  puts it together
"""
