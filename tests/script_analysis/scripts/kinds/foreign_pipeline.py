from datapipes import Pipeline, Reader, Writer
pipeline = Pipeline([Reader("s3://b/x"), Writer("s3://b/y")])  # UNSEEN
pipeline.run()  # UNSEEN
