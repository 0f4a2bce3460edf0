// Answers requests for the npm package `age-encryption`: one JSON object a line
// on standard input, one a line on standard output. Files are passed by name.
import { readFile, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import * as age from "age-encryption";

const actions = {
  async keygen({ postQuantum }) {
    const identity = await (postQuantum ? age.generateHybridIdentity() : age.generateX25519Identity());
    return { identity, recipient: await age.identityToRecipient(identity) };
  },
  async recipient({ identity }) {
    return { recipient: await age.identityToRecipient(identity) };
  },
  async seal({ input, output, recipients, passphrase, armor }) {
    const sealer = new age.Encrypter();
    if (passphrase !== null) sealer.setPassphrase(passphrase);
    for (const recipient of recipients) sealer.addRecipient(recipient);
    const sealed = await sealer.encrypt(await readFile(input));
    await writeFile(output, armor ? age.armor.encode(sealed) : sealed);
    return {};
  },
  async open({ input, output, identities, passphrase, armor }) {
    const opener = new age.Decrypter();
    if (passphrase !== null) opener.addPassphrase(passphrase);
    for (const identity of identities) opener.addIdentity(identity);
    const content = await readFile(input);
    const sealed = armor ? age.armor.decode(content.toString("latin1")) : content;
    await writeFile(output, await opener.decrypt(sealed));
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const reply = await actions[request.action](request).catch((error) => ({ error: String(error) }));
  console.log(JSON.stringify(reply));
}
