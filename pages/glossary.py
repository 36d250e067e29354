"""Glossary: every term of the interface in one sentence."""

import streamlit as st

from asr_core.report import glossary
from pages._frame.text import plain

st.caption("The same sentences stand in the help (?) beside the controls that use a term.")
wanted = st.text_input("Find", key="_find", placeholder="part of a term or of its sentence").lower()
for term in sorted(glossary.terms(), key=lambda term: term.name.lower()):
    if wanted in f"{term.name} {term.text} {' '.join(term.words)}".lower():
        also = f" {plain('(' + ', '.join(term.words) + ')')}" if term.words else ""
        st.markdown(f"**{plain(term.name)}**{also}: {plain(term.sentence)}")
        if term.equation:
            st.code(term.equation, language=None, wrap_lines=True)
