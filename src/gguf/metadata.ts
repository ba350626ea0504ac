import { SluiceError } from "../errors.ts";

/** A value of a GGUF key. 64-bit integers that a double holds exactly are numbers, others bigints. */
export type MetadataValue = string | number | bigint | boolean | readonly MetadataValue[];

/**
 * The keys of a GGUF file, read by type.
 *
 * Every getter throws "bad-file", naming the key, what was wanted and what was got; the `optional`
 * ones return undefined for a missing key and still throw for one of the wrong type.
 */
export class Metadata {
  readonly #values: ReadonlyMap<string, MetadataValue>;
  readonly #name: string;

  /** @param name of the file, for messages */
  constructor(values: Iterable<readonly [string, MetadataValue]>, name = "metadata") {
    this.#values = new Map(values);
    this.#name = name;
  }

  get keys(): readonly string[] {
    return [...this.#values.keys()];
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  string(key: string): string {
    return this.#required(key, "a string", this.optionalString(key));
  }

  optionalString(key: string): string | undefined {
    return this.#read(key, "a string", isString);
  }

  /** A finite number; an integer beyond 2^53 is refused, since a double cannot hold it. */
  number(key: string): number {
    return this.#required(key, "a number", this.optionalNumber(key));
  }

  optionalNumber(key: string): number | undefined {
    return this.#read(key, "a number", isFiniteNumber);
  }

  /** A whole number that is not negative: a count, a size, a token id. */
  count(key: string): number {
    return this.#required(key, "a whole number", this.optionalCount(key));
  }

  optionalCount(key: string): number | undefined {
    return this.#read(key, "a whole number that is not negative", isCount);
  }

  boolean(key: string): boolean {
    return this.#required(key, "a boolean", this.optionalBoolean(key));
  }

  optionalBoolean(key: string): boolean | undefined {
    return this.#read(key, "a boolean", isBoolean);
  }

  /** For keys that hold one number for all layers or one for each. */
  numberOrArray(key: string): number | readonly number[] {
    return this.#required(key, "a number or numbers", this.optionalNumberOrArray(key));
  }

  optionalNumberOrArray(key: string): number | readonly number[] | undefined {
    return this.#read(key, "a number or numbers", isNumberOrArray);
  }

  strings(key: string): readonly string[] {
    return this.#required(key, "strings", this.optionalStrings(key));
  }

  optionalStrings(key: string): readonly string[] | undefined {
    return this.#read(key, "an array of strings", isArrayOf(isString));
  }

  numbers(key: string): readonly number[] {
    return this.#required(key, "numbers", this.optionalNumbers(key));
  }

  optionalNumbers(key: string): readonly number[] | undefined {
    return this.#read(key, "an array of numbers", isArrayOf(isFiniteNumber));
  }

  optionalBooleans(key: string): readonly boolean[] | undefined {
    return this.#read(key, "an array of booleans", isArrayOf(isBoolean));
  }

  #read<T extends MetadataValue>(
    key: string,
    wanted: string,
    fits: (value: MetadataValue) => value is T,
  ): T | undefined {
    const value = this.#values.get(key);
    if (value === undefined || fits(value)) return value;
    throw new SluiceError(
      "bad-file",
      `${this.#name}: key ${key} must be ${wanted}, but is ${describe(value)}. Use another file of this model.`,
    );
  }

  #required<T>(key: string, wanted: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new SluiceError(
      "bad-file",
      `${this.#name}: key ${key} is missing; it must be ${wanted}. Use another file of this model.`,
    );
  }
}

function isString(value: MetadataValue): value is string {
  return typeof value === "string";
}

function isBoolean(value: MetadataValue): value is boolean {
  return typeof value === "boolean";
}

function isFiniteNumber(value: MetadataValue): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isCount(value: MetadataValue): value is number {
  return isFiniteNumber(value) && Number.isSafeInteger(value) && value >= 0;
}

function isArrayOf<T extends MetadataValue>(fits: (value: MetadataValue) => value is T) {
  return (value: MetadataValue): value is readonly T[] => Array.isArray(value) && value.every(fits);
}

function isNumberOrArray(value: MetadataValue): value is number | readonly number[] {
  return isFiniteNumber(value) || isArrayOf(isFiniteNumber)(value);
}

function describe(value: MetadataValue): string {
  if (typeof value === "string") return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (typeof value === "object") return `an array of ${value.length}`;
  return `the ${typeof value} ${value}`;
}
