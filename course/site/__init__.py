"""The course as a static site: ``rmapwalk site OUT``, from disk or from any web server, without a network.

Every lesson is a page with its outputs; runs play in it, and where a cell needs Python a sentence says so.

cells.py     a lesson's cells as a page shows them
writing.py   the folder from which Sphinx builds: lessons, glossary, README, and what we know of our own numbers
building.py  Sphinx, and what it is told
links.py     every link and anchor of a built site leads somewhere, and nothing is fetched from outside
pages/       the first page, and how to run what needs Python
static/      how the pages look, and how a run in a page follows its light and dark
"""
