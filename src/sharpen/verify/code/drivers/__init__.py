"""Programs that run inside the sandbox, beside a candidate's. Nothing here is imported: `execution` reads them as text."""
