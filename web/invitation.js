"use strict";

/**
 * An invitation says how to come into this room: the address to give to others, its QR code, and the same for programs:
 * the course's Python client, a browser's console, curl. Where "localhost" would lead others to their own machine, the address
 * that this one has in the network takes its place.
 */
function invitation(page, connection) {
  const { origin, hostname, port, protocol } = new URL(page);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  const element = make("div", { className: "invitation" });
  const show = (host, ...more) => {
    const at = (address) => host + address.slice(origin.length);
    const given = at(page);
    const address = make("div", { className: "address" }, make("code", { textContent: given }), copyButton(() => given));
    element.replaceChildren(
      make("p", { textContent: words.inviteWith }),
      address,
      ...(more.length > 0 ? more : qrImage(given)),
      make("p", { className: "aside", textContent: words.program }),
      ...programs(at(connection.addressOf("ws", {})).replace("http", "ws"), at(connection.addressOf("messages", {}))),
    );
  };
  if (isLocal) {
    show(origin, make("p", { className: "aside", textContent: fill(words.onlyHere, port || (protocol === "https:" ? "443" : "80")) }));
    lanOrigin(origin).then((host) => host && show(host));
  } else {
    show(origin);
  }
  return element;
}

function programs(socket, post) {
  const all = {
    "Python (pip install websockets)": `import asyncio, websockets

async def main():
    async with websockets.connect("${socket}") as websocket:
        await websocket.send("Hello, WebSocket Server!")
        print(await websocket.recv())

asyncio.run(main())`,
    [words.console]: `const socket = new WebSocket("${socket}");
socket.onmessage = (event) => console.log(event.data);
socket.onopen = () => socket.send("Hello, WebSocket Server!");`,
    curl: `curl -d "text=Bonjour" "${post}"`,
  };
  return Object.entries(all).map(([title, code]) => {
    const block = make("pre", { tabIndex: 0 }, make("code", { textContent: code }));
    const copier = copyButton(() => code);
    return make("details", {}, make("summary", { textContent: title }), block, copier);
  });
}

// What others reach this machine by, as far as its server knows.
async function lanOrigin(origin) {
  if (origin !== location.origin) return ""; // opened from disk: it may not ask
  const answer = await fetch("/lan").then(
    (response) => (response.ok ? response.text() : ""),
    () => "",
  );
  return answer.split("\n")[0];
}

// Dark on white whatever the page's colours: that is what cameras look for.
function qrImage(text) {
  const rows = qrCode(text);
  if (!rows) return [];
  const QUIET = 4; // modules around it
  const size = rows.length + 2 * QUIET;
  const dark = rows.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : "")));
  const shape = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const image = shape("svg", {
    viewBox: `0 0 ${size} ${size}`,
    class: "qr",
    role: "img",
    "aria-label": words.qr,
    "shape-rendering": "crispEdges",
  });
  image.append(shape("path", { fill: "#fff", d: `M0 0h${size}v${size}H0z` }), shape("path", { fill: "#000", d: dark.join("") }));
  return [image];
}
