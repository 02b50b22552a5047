import tseslint from 'typescript-eslint';

/** Folders whose results must not depend on a clock, on chance or on the version of the JavaScript engine. */
const bitExact = [
  'packages/shared/src/{plan,job,model,tensors}/**/*.ts',
  'packages/shared/src/random.ts',
  'packages/worker/src/{model,input}/**/*.ts',
  'packages/coordinator/src/parameter-server/**/*.ts',
  'packages/coordinator/src/phases/**/*.ts',
];

/** Math functions whose last bit may differ between versions of V8; + − × ÷ sqrt, fround and integers are exact. */
const inexactMath = [
  'pow',
  'exp',
  'expm1',
  'log',
  'log1p',
  'log2',
  'log10',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'atan2',
  'sinh',
  'cosh',
  'tanh',
  'cbrt',
  'hypot',
];

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      '**/node_modules/**',
      'packages/worker/vendor/**',
      'packages/shared/src/generated/**',
      'runs/**',
      'data/**',
      '**/*.{js,mjs,cjs}',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreUsingDeclarations: true }],
      'no-console': 'error',
      'no-restricted-imports': [
        'error',
        {
          name: 'picocolors',
          importNames: ['default'],
          message: 'Its own colours follow the environment (CI), not the stream: take cli/colors.ts.',
        },
      ],
    },
  },
  {
    files: bitExact,
    rules: {
      'no-restricted-properties': [
        'error',
        ...inexactMath.map((property) => ({
          object: 'Math',
          property,
          message: 'Its last bit depends on the V8 version.',
        })),
        { object: 'Math', property: 'random', message: 'Draw from a seeded stream (shared/random.ts).' },
        { object: 'Date', property: 'now', message: 'A run is a function of its job file: no clock here.' },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "BinaryExpression[operator='**']", message: 'Its last bit depends on the V8 version.' },
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'No clock here.' },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', 'no-console': 'off' },
  },
);
