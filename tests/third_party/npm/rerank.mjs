// Reranks by a package of npm: node rerank.mjs PACKAGE URL, the query and the documents as JSON on standard input.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const modules = createRequire(`${process.env.NODE_PREFIX}/`); // where npm installed them
const load = async (name) => import(pathToFileURL(modules.resolve(name)).href);
const [name, url] = process.argv.slice(2);
const { query, documents } = JSON.parse(readFileSync(0, "utf8"));

const models = {
  "@ai-sdk/cohere": ({ createCohere }) => createCohere({ apiKey: "k", baseURL: `${url}/cohere/v2` }).reranking("rerank-v3.5"),
  "@ai-sdk/togetherai": ({ createTogetherAI }) =>
    createTogetherAI({ apiKey: "k", baseURL: `${url}/together/v1` }).reranking("m"),
  "voyage-ai-provider": ({ createVoyage }) =>
    createVoyage({ apiKey: "k", baseURL: `${url}/voyage/v1` }).reranking("rerank-2.5"),
};

if (name === "@openrouter/sdk") {
  const { OpenRouter } = await load(name);
  const client = new OpenRouter({ apiKey: "k", serverURL: `${url}/openrouter/api/v1` });
  const { results } = await client.rerank.rerank({ requestBody: { model: "cohere/rerank-v3.5", query, documents, topN: 2 } });
  console.log(JSON.stringify(results.map(({ index, relevanceScore }) => [index, relevanceScore])));
} else {
  const { rerank } = await load("ai");
  const { ranking } = await rerank({ model: models[name](await load(name)), query, documents, topN: 2, maxRetries: 0 });
  console.log(JSON.stringify(ranking.map(({ originalIndex, score }) => [originalIndex, score])));
}
