"""From scenes and films to files: text, matplotlib, one offline HTML file."""
