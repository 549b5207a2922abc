"use strict";

/**
 * The service worker opens the page while its server is away: from what it has kept of it, and only then. While the server answers,
 * the answer is what is shown, and kept for later. It knows the files of the page and nothing else: what is said, and asked for, passes beside it.
 */
const CACHE = "page";
const LATER = ["qr-code.js", "invitation.js", "search.js", "search.css"]; // what the page loads when it is opened
const AWAY = [502, 503, 504]; // statuses of a proxy whose server is away

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(keepAll());
});

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const address = addressToKeep(event.request);
  if (address) event.respondWith(answer(event, address));
});

// The page names its files itself.
async function keepAll() {
  const page = await (await fetch("./")).text();
  const files = Array.from(page.matchAll(/(?:src|href)="([^"]+)"/g), ([, file]) => file);
  const cache = await caches.open(CACHE);
  await cache.addAll(["./", ...files, ...LATER]);
}

// Without the query: the page is the same in every room, and an invitation is nobody's business here. Null: not a file of the page.
function addressToKeep({ method, url }) {
  const { origin, pathname } = new URL(url);
  const folder = new URL("./", location);
  const file = pathname.slice(folder.pathname.length);
  const isPage = file === "" || file === "index.html";
  const isOurs = method === "GET" && origin === folder.origin && pathname.startsWith(folder.pathname);
  return isOurs && (isPage || /^[\w-]+\.(?:js|css|svg|webmanifest)$/.test(file)) ? new URL(isPage ? "./" : file, folder).href : null;
}

async function answer(event, address) {
  const cache = await caches.open(CACHE);
  const response = await fetch(event.request).catch(() => null);
  if (response?.ok) event.waitUntil(cache.put(address, response.clone()).catch(() => {})); // no room: then it stays as it was
  const isAway = !response || AWAY.includes(response.status);
  return (isAway && (await cache.match(address))) || response || Response.error();
}

addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data));
});

async function show(address) {
  const pages = await clients.matchAll({ type: "window" });
  const page = pages.find(({ url }) => url.split("#")[0] === address);
  await (page ? page.focus() : clients.openWindow(address));
}
