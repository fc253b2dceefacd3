"""The script that Streamlit runs; in a folder of its own, since a `pages` folder beside it would be served as it is."""
