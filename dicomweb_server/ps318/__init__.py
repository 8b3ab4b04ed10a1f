"""DICOMweb, the standard itself (PS3.18): pure functions and frozen dataclasses.

Server and client share it. Nothing here does I/O or knows Flask.
"""
