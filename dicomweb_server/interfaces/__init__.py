"""What authors of extensions implement: one small abstract class per kind of thing."""
