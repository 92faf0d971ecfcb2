"""The pixel renderer: letters of whole pixels on a grid."""
