"""Lesson."""

import streamlit as st

st.markdown("soon")
