"""An experiment as one file: `content` reads the store and says what there is to say, `html` and `pdf` how it looks."""
