"use strict";

/**
 * An invitation says how to come into this room: the address to give to others, its QR code, and the same for programs:
 * the course's Python client, a browser's console, curl.
 */
function invitation(page, connection) {
  const socket = connection.addressOf("ws", {}).replace("http", "ws");
  const post = connection.addressOf("messages", {});
  const programs = [
    [
      "Python (pip install websockets)",
      `import asyncio, websockets

async def main():
    async with websockets.connect("${socket}") as websocket:
        await websocket.send("Hello, WebSocket Server!")
        print(await websocket.recv())

asyncio.run(main())`,
    ],
    [
      words.console,
      `const socket = new WebSocket("${socket}");
socket.onmessage = (event) => console.log(event.data);
socket.onopen = () => socket.send("Hello, WebSocket Server!");`,
    ],
    ["curl", `curl -d "text=Bonjour" "${post}"`],
  ];
  const address = make("div", { className: "invitation" });
  const show = (given, ...more) =>
    address.replaceChildren(
      make(
        "div",
        { className: "address" },
        make("code", { textContent: given }),
        copyButton(() => given),
      ),
      ...more,
    );
  const { hostname, port, protocol } = new URL(page);
  if (["localhost", "127.0.0.1", "[::1]"].includes(hostname)) {
    show(page, make("p", { className: "aside", textContent: fill(words.onlyHere, port || (protocol === "https:" ? "443" : "80")) }));
    lanAddress(page).then((given) => given && show(given, ...qrImage(given)));
  } else {
    show(page, ...qrImage(page));
  }
  const parts = [make("p", { textContent: words.inviteWith }), address, make("p", { className: "aside", textContent: words.program })];
  for (const [title, code] of programs) {
    const block = make("pre", { tabIndex: 0 }, make("code", { textContent: code }));
    parts.push(
      make(
        "details",
        {},
        make("summary", { textContent: title }),
        block,
        copyButton(() => code),
      ),
    );
  }
  return make("div", { className: "invitation" }, ...parts);
}

// What others reach this machine by, as far as its server knows: "localhost" would lead them to their own.
async function lanAddress(page) {
  const { origin, href } = new URL(page);
  if (origin !== location.origin) return ""; // opened from disk: it may not ask
  const answer = await fetch(new URL("/lan", page)).then(
    (response) => (response.ok ? response.text() : ""),
    () => "",
  );
  const [first] = answer.split("\n");
  return first && first + href.slice(origin.length);
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
