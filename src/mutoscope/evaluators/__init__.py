"""Networks that metrics look through: trained here, or published."""
