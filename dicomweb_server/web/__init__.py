"""The application: how requests get in, and the core's own routes. Private."""
