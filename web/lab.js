"use strict";

// The door of the laboratory: chat.js loads this, and only this, when the address has ?lab. It loads the rest, and then connects: the first frame
// is to be seen, too. Whatever is not to be had, the talk goes on without it.

load("lab.css", "lab-words.js", "lab-link.js", "lab-panel.js").then(connect, connect);
