// Ready lines that download an export: curl, the command line, Python, boto3.
// @ts-check
import { h, icon, copy, segments } from "../dom.js";
import { reachable } from "../download.js";

/** @param {import("penstock-api").Task} task */
export function scripts(task) {
  const kinds = linesOf(task), names = Object.keys(kinds), pre = h("pre", { tabindex: 0, role: "region", "aria-label": "Code" }, kinds[names[0]]);
  return h("section.card", { "aria-label": "Download from a script" },
    h("header", {}, h("h2.grow", {}, "Download from a script"), segments("Language", names.map((name, n) => [name, () => { pre.textContent = kinds[name]; }, n === 0]))),
    h("div.in.stack.tight", {}, h("div.code", {}, pre), h("div.row", {}, h("p.hint.grow", {}, task.attributes.sse_customer_key_md5 ? "Set KEY yourself, to the key you saved. We never write it into a line." : ""), h("button.btn", { type: "button", onclick: () => copy(pre.textContent) }, icon("copy"), "Copy"))));
}

function linesOf(task) {
  const host = new URL(".", document.baseURI).href.replace(/\/$/, ""), { attributes } = task, header = "x-amz-server-side-encryption-customer-";
  const bucket = /^s3:\/\/([^/\s]+)\S*(?: at (\S+))?$/.exec(attributes.destination), md5 = attributes.sse_customer_key_md5;
  const curl = ["curl --fail --continue-at - -o events.jsonl.gz \\", ...(md5 ? [`  -H "${header}algorithm: AES256" \\`, `  -H "${header}key: $KEY" \\`, `  -H "${header}key-MD5: ${md5}" \\`] : []), `  ${shell(reachable(attributes.download_url ?? ""))}`].join("\n");
  const client = `import os\n\nfrom penstock.client import Penstock\n\nwith Penstock(${JSON.stringify(host)}, os.environ["API_KEY"]) as penstock:\n    export = penstock.export(${JSON.stringify(task.uuid)}${md5 ? `, customer_key=os.environ["KEY"]` : ""})\n    export.download("events.jsonl.gz")`;
  const boto3 = `${md5 ? "import base64, os\n\n" : ""}import boto3\n\ns3 = boto3.client("s3"${bucket?.[2] ? `, endpoint_url=${JSON.stringify(bucket[2])}` : ""})\ns3.download_file(\n    ${JSON.stringify(bucket?.[1] ?? "")}, ${JSON.stringify(bucket ? objectKey(attributes.download_url ?? "", bucket[1]) : "")}, "events.jsonl.gz"${md5 ? `,\n    ExtraArgs={"SSECustomerAlgorithm": "AES256",\n               "SSECustomerKey": base64.b64decode(os.environ["KEY"])}` : ""})`;
  return { ...(attributes.download_url ? { curl } : {}), "Command line": `penstock download ${task.uuid} \\\n  --api-host ${shell(host)} \\\n  ${md5 ? `--s3-sse-c-key "$KEY" ` : ""}-o events.jsonl.gz`, Python: client, ...(bucket ? { boto3 } : {}) };
}
/** The object's key, out of a presigned URL: the bucket stands in the host or first in the path. */
function objectKey(url, bucket) {
  const path = decodeURIComponent(URL.canParse(url) ? new URL(url).pathname : "").slice(1);
  return path.startsWith(`${bucket}/`) ? path.slice(bucket.length + 1) : path;
}
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
