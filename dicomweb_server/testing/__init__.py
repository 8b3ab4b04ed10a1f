"""The conformance kit for authors of extensions.

- `contracts`: one class of tests for each interface; subclass it and give one fixture.
- `dicom`: makers of small DICOM files and of multipart bodies.
- `providers`: builds one provider as the server would.
- `apps`, `pytest_plugin`: an application on temporary folders, as fixtures.
- `server`: a real gunicorn, to be killed and restarted.

Nothing is imported here, so that measuring coverage starts before the code that is measured.
"""
