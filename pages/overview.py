import streamlit as st
from pages import _common as common
view = common.view()
st.write("overview", view.title, view.slugs)
