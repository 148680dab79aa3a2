// In the sandbox: calls one function of a candidate's JavaScript file, as drivers/function.py does for Python.
"use strict";
const fs = require("fs");
const vm = require("vm");

function unpack(value) {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== "object") return value;
  const keys = Object.keys(value);
  if (keys.length === 1) {
    const content = value[keys[0]];
    if (keys[0] === "$tuple") return content.map(unpack);
    if (keys[0] === "$set") return new Set(content.map(unpack));
    if (keys[0] === "$dict") return new Map(content.map(([name, item]) => [unpack(name), unpack(item)]));
    if (keys[0] === "$float") return { nan: NaN, inf: Infinity, "-inf": -Infinity }[content];
    if (keys[0] === "$int") return BigInt(content);
  }
  return Object.fromEntries(keys.map((key) => [key, unpack(value[key])]));
}

function pack(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return value;
    return { $float: Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf" };
  }
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "bigint") return { $int: value.toString() };
  if (Array.isArray(value)) return value.map(pack);
  if (value instanceof Set) return { $set: [...value].map(pack) };
  if (value instanceof Map) return { $dict: [...value].map(([key, item]) => [pack(key), pack(item)]) };
  if (typeof value === "object") return { $dict: Object.keys(value).map((key) => [key, pack(value[key])]) };
  return { $other: typeof value };
}

const request = JSON.parse(fs.readFileSync(0, "utf8"));
const { writeSync } = fs;
const { stringify } = JSON;
Object.assign(globalThis, { require, module, exports });
const names = ["preamble.js", "solution.js"].filter((name) => fs.existsSync(name));
for (const name of names) vm.runInThisContext(fs.readFileSync(name, "utf8"), { filename: name });
// `const f = …` at the top of a script is no property of the global object, but a later script sees it.
const find = `typeof ${request.name} !== "undefined" ? ${request.name} : undefined`;
let called = vm.runInThisContext(find) ?? module.exports[request.name];
if (called === undefined && vm.runInThisContext("typeof Solution") === "function") {
  const solution = vm.runInThisContext("new Solution()");
  called = solution[request.name] && solution[request.name].bind(solution);
}
if (called === undefined) throw new ReferenceError(`there is no function ${request.name}`);

function told(value) {
  const data = Buffer.from(`\n${request.nonce} ${stringify(value)}\n`);
  for (let done = 0; done < data.length; ) done += writeSync(1, data, done);
}

let value;
try {
  value = called(...request.args.map(unpack));
} catch (error) {
  const kinds = [];
  for (let kind = error && error.constructor; kind && kind.name; kind = Object.getPrototypeOf(kind)) kinds.push(kind.name);
  told({ $raised: kinds });
  throw error;
}
told(pack(value));
