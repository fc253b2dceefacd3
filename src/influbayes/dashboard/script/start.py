"""What Streamlit runs, once for each view: draws the app."""

from influbayes.dashboard.app import show_app

show_app()
