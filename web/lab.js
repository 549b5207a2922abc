"use strict";

// The door of the laboratory: chat.js loads this, and only this, when the address has ?lab. It loads the rest, and then connects: the first frame
// is to be seen, too. Whatever is not to be had, the talk goes on without it.

const labRules = { createScriptURL: (part) => `lab-${part}.js` };
const labPolicy = globalThis.trustedTypes?.createPolicy("lab-parts", labRules) ?? labRules;
const labScripts = ["words", "link", "panel"].map((part) => make("script", { async: false, src: labPolicy.createScriptURL(part) }));
labScripts.at(-1).onload = labScripts.at(-1).onerror = connect;
document.head.append(make("link", { rel: "stylesheet", href: "lab.css" }), ...labScripts);
