"use strict";

// The few things that several parts of the page do, most of them with elements.

const isInstallable = isSecureContext && location.protocol !== "file:" && "serviceWorker" in navigator;

const byId = (id) => document.getElementById(id);

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A text without accents and case: what is compared with what somebody has typed. */
function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

/** Sets a text only where it differs: what says the same is not read aloud again. */
function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Trusted Types: code comes from files beside the page, and from nowhere else.
const codeBeside = globalThis.trustedTypes?.createPolicy("page", { createScriptURL: fileBeside }) ?? { createScriptURL: fileBeside };

function fileBeside(file) {
  if (!/^[\w-]+\.js$/.test(file)) throw new TypeError(`not beside the page: ${file}`);
  return file;
}

const loading = new Map(); // file -> a promise of it

/** Loads what the page begins without, each file once, scripts in this order. Rejects where one is not to be had now. */
function load(...files) {
  for (const file of files) if (!loading.has(file)) loading.set(file, loadFile(file));
  return Promise.all(files.map((file) => loading.get(file)));
}

function loadFile(file) {
  const isStyle = file.endsWith(".css");
  const element = isStyle ? make("link", { rel: "stylesheet", href: file }) : make("script", { async: false, src: codeBeside.createScriptURL(file) });
  return new Promise((resolve, reject) => {
    element.onload = resolve;
    element.onerror = () => {
      loading.delete(file);
      reject(new Error(`${file} cannot be had now`));
    };
    document.head.append(element);
  });
}

/** A button that copies what `text` returns, and says so for a moment. Without words, when it is one of many. */
function copyButton(text, properties) {
  const button = make("button", { type: "button", textContent: words.copy, ...properties });
  button.addEventListener("click", async () => {
    const label = button.textContent;
    if (!(await copy(text(), button))) return;
    button.classList.add("done");
    button.ariaLabel = words.copied;
    if (label) button.textContent = words.copied;
    setTimeout(() => {
      button.classList.remove("done");
      button.ariaLabel = properties?.ariaLabel ?? null;
      button.textContent = label;
    }, 1500);
  });
  return button;
}

// navigator.clipboard exists only in secure contexts, and a chat on a LAN is served over plain http.
async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Beside the button: what is outside an open popover or dialog cannot be selected in every browser.
    const field = make("textarea", { value: text, className: "offscreen" });
    near.after(field);
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    near.focus();
    return isCopied;
  }
}
