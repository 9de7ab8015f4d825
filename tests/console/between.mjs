// Something between browser and server that can fail as networks do.

import { createServer, request } from "node:http";
import { once } from "node:events";

/** Listens on a port of its own and passes everything on, until `way.state` is another than "open": "cut" drops every connection, "slow"
 * keeps back the answers to calls. */
export async function between(url) {
  const { hostname, port } = new URL(url);
  const way = { state: "open" };
  const server = createServer((asked, answer) => {
    if (way.state === "cut") return asked.socket.destroy();
    const onward = request({ hostname, port, path: asked.url, method: asked.method, headers: asked.headers }, async (reply) => {
      while (way.state === "slow" && asked.method === "POST") await new Promise((resolve) => setTimeout(resolve, 100));
      answer.writeHead(reply.statusCode, reply.headers);
      reply.pipe(answer);
    });
    onward.on("error", () => asked.socket.destroy());
    asked.pipe(onward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  way.url = `http://127.0.0.1:${server.address().port}`;
  way.close = () => {
    server.close();
    server.closeAllConnections();
  };
  return way;
}
