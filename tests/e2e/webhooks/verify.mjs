// SPDX-License-Identifier: MIT
// Checks signatures of webhooks: {"secret", "headers", "body"} in each line of stdin, one
// word for each on stdout.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("good");
  } catch (error) {
    console.log("bad", error.message);
  }
}
