"""Running models faster: memory layout, mixed precision and compilation, and the operators' guards these need."""
