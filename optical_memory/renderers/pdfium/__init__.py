"""Pages of attached documents, drawn by pdfium."""
