"""Leaf layer: errors, component lookup and typed options. No tensor library is imported here."""
