"""W-Sprites: characters that walk, cast spells and slash before a moving landscape (GLASS, section 4.1; spec 7.2)."""
