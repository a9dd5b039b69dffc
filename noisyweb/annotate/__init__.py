"""The annotation page: a local web server that asks annotators "is this a <class>?" and keeps every answer.

prepare --> Book (SQLite) <--Writer-- App --> page/ (what the browser runs)
                                          |
                                          +-- Handout: who is asked what next
"""
